-- What the old code cannot live with: amounts in cents, with a currency.
BEGIN;
ALTER TABLE payments ADD amount_cents bigint, ADD currency char(3);
UPDATE payments SET amount_cents = amount * 100, currency = 'EUR';
ALTER TABLE payments ALTER amount_cents SET NOT NULL, ALTER currency SET NOT NULL, DROP amount;
COMMIT;
