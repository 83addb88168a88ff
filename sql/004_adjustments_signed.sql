-- A past that shows that a step was counted in the wrong place takes it back where it was.
ALTER TABLE adjustments MODIFY COLUMN amount Int32;
