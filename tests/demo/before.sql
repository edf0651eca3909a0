-- The schema of code version 1, with a history long enough that the migration takes a while.
CREATE TABLE payments (
    id           bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request      text    NOT NULL UNIQUE,
    amount_cents integer NOT NULL
);
INSERT INTO payments (request, amount_cents)
SELECT 'history-' || n, n % 100000 FROM generate_series(1, :history) AS n;
ANALYZE payments;
