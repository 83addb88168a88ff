-- A past takes a step back in the cell that it would be counted in now; where that is not the one in which it was counted, the hour's value is below 0.
ALTER TABLE funnel_hours MODIFY COLUMN steps Array(Int64);
