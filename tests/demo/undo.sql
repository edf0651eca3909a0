-- Back to the schema of code version 1, whatever migrate.sql has done of its work.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM information_schema.columns
        WHERE table_name = 'payments' AND column_name = 'currency'
    ) THEN
        ALTER TABLE payments RENAME COLUMN amount TO amount_cents;
        ALTER TABLE payments
            DROP COLUMN currency,
            ALTER COLUMN amount_cents TYPE integer USING amount_cents * 100;
    END IF;
END
$$;
