-- What the old code lives with: amounts in euros.
CREATE TABLE payments (id bigserial PRIMARY KEY, account int NOT NULL, amount numeric(12, 2) NOT NULL);
INSERT INTO payments (account, amount) SELECT n % 1000, 12.34 FROM generate_series(1, 50000) n;
CREATE INDEX ON payments (account);
