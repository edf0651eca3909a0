-- The schema of code version 2. Every row is written anew while nobody else may read or write the
-- table, and from the commit on version 1 names a column that is not there.
BEGIN;
ALTER TABLE payments
    ADD COLUMN currency char(3) NOT NULL DEFAULT 'EUR',
    ALTER COLUMN amount_cents TYPE numeric(12, 2) USING amount_cents / 100.0;
ALTER TABLE payments RENAME COLUMN amount_cents TO amount;
COMMIT;
