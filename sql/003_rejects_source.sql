-- Which write key a reject came by; empty for what was written before, and where nothing says it.
ALTER TABLE rejects ADD COLUMN IF NOT EXISTS source LowCardinality(String) DEFAULT '';
