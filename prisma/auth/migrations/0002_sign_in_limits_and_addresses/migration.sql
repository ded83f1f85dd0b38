-- DropIndex
DROP INDEX "people_email_key";

-- AlterTable
ALTER TABLE "tenants" ADD COLUMN     "max_in_flight" INTEGER,
ADD COLUMN     "requests_per_minute" INTEGER;

-- CreateIndex
CREATE INDEX "people_email_created_at_idx" ON "people"("email", "created_at");

-- CreateIndex
CREATE UNIQUE INDEX "people_tenant_id_email_key" ON "people"("tenant_id", "email");

-- Added by hand.

ALTER TABLE "tenants" ADD CONSTRAINT "tenants_limits_check" CHECK ("requests_per_minute" > 0 AND "max_in_flight" > 0);

-- Sign-in attempts, counted by account and source, by account and by network; replaces the table of rate-limiter-flexible.
-- The key is a digest: no e-mail or network address is stored. Not about a tenant: the account may not exist.
DROP TABLE "sign_in_attempts";
CREATE TABLE "sign_in_attempts" (
    "key" TEXT PRIMARY KEY,
    "failures" INTEGER NOT NULL,
    "not_before" TIMESTAMPTZ(3) NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL
);
CREATE INDEX "sign_in_attempts_expires_at_idx" ON "sign_in_attempts"("expires_at");
