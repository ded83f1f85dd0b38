-- CreateTable
CREATE TABLE "usage_reconciliations" (
    "tenant_id" TEXT NOT NULL,
    "period_start" TIMESTAMPTZ(3) NOT NULL,
    "through" TIMESTAMPTZ(3) NOT NULL,
    "stated_at" TIMESTAMPTZ(3) NOT NULL,
    "differences" JSONB NOT NULL,
    "unequal_since" TIMESTAMPTZ(3),

    CONSTRAINT "usage_reconciliations_pkey" PRIMARY KEY ("tenant_id","period_start")
);

-- Row-level security: a transaction sees the rows of `app.tenant`, or all with `*`. FORCE binds the owner too.
ALTER TABLE "usage_reconciliations" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "usage_reconciliations" FORCE ROW LEVEL SECURITY;
CREATE POLICY "tenant" ON "usage_reconciliations" USING (
    "tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*'
);
