-- Exposures without repeats: a record that was sent again, or that two processes wrote of the same answer, has rows of its own in `exposures`, each at its position. Of one message the earliest counts (event time, then position), as in the buyer's state. No FINAL is needed: rows that were inserted again are repeats, too.
CREATE VIEW IF NOT EXISTS exposures_once AS
SELECT
    key,
    generation,
    experiment,
    message_id,
    min(exposures.time) AS time,
    argMin(exposures.partition, (exposures.time, exposures.offset, exposures.ordinal)) AS partition,
    argMin(exposures.offset, (exposures.time, exposures.offset, exposures.ordinal)) AS offset,
    argMin(exposures.ordinal, (exposures.time, exposures.offset, exposures.ordinal)) AS ordinal,
    argMin(exposures.revision, (exposures.time, exposures.offset, exposures.ordinal)) AS revision,
    argMin(exposures.variant, (exposures.time, exposures.offset, exposures.ordinal)) AS variant,
    argMin(exposures.reason, (exposures.time, exposures.offset, exposures.ordinal)) AS reason
FROM exposures
GROUP BY key, generation, experiment, message_id;
