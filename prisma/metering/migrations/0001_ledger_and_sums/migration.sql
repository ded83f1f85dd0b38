-- CreateTable
CREATE TABLE "ledger" (
    "tenant_id" TEXT NOT NULL,
    "source" TEXT NOT NULL,
    "event_id" TEXT NOT NULL,
    "receipt_id" TEXT NOT NULL,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL,
    "principal_kind" TEXT NOT NULL,
    "principal_id" TEXT NOT NULL,
    "model_id" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "version_id" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "surface" TEXT NOT NULL,
    "quantities" JSONB NOT NULL,
    "price_list_id" TEXT NOT NULL,
    "currency" TEXT NOT NULL,
    "cost" DECIMAL NOT NULL,
    "latency_ms" DOUBLE PRECISION NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "ledger_pkey" PRIMARY KEY ("tenant_id","source","event_id")
);

-- CreateTable
CREATE TABLE "usage_buckets" (
    "tenant_id" TEXT NOT NULL,
    "grain" TEXT NOT NULL,
    "bucket_start" TIMESTAMPTZ(3) NOT NULL,
    "principal_kind" TEXT NOT NULL,
    "principal_id" TEXT NOT NULL,
    "model_id" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "meter" TEXT NOT NULL,
    "price_list_id" TEXT NOT NULL,
    "currency" TEXT NOT NULL,
    "quantity" DECIMAL NOT NULL,
    "cost" DECIMAL NOT NULL,
    "calls" BIGINT NOT NULL,
    "leading_calls" BIGINT NOT NULL,

    CONSTRAINT "usage_buckets_pkey" PRIMARY KEY ("tenant_id","grain","bucket_start","principal_kind","principal_id","model_id","model","meter","price_list_id","currency")
);

-- CreateTable
CREATE TABLE "usage_hours" (
    "tenant_id" TEXT NOT NULL,
    "hour_start" TIMESTAMPTZ(3) NOT NULL,
    "model_id" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "meter" TEXT NOT NULL,
    "price_list_id" TEXT NOT NULL,
    "currency" TEXT NOT NULL,
    "quantity" DECIMAL NOT NULL,
    "calls" BIGINT NOT NULL,
    "revision" BIGINT NOT NULL,

    CONSTRAINT "usage_hours_pkey" PRIMARY KEY ("tenant_id","hour_start","model_id","model","meter","price_list_id","currency")
);

-- CreateIndex
CREATE INDEX "ledger_tenant_id_receipt_id_idx" ON "ledger"("tenant_id", "receipt_id");

-- CreateIndex
CREATE INDEX "ledger_tenant_id_occurred_at_receipt_id_idx" ON "ledger"("tenant_id", "occurred_at" DESC, "receipt_id" DESC);

-- CreateIndex
CREATE INDEX "ledger_tenant_id_model_occurred_at_receipt_id_idx" ON "ledger"("tenant_id", "model", "occurred_at" DESC, "receipt_id" DESC);

-- CreateIndex
CREATE INDEX "ledger_tenant_id_principal_id_occurred_at_receipt_id_idx" ON "ledger"("tenant_id", "principal_id", "occurred_at" DESC, "receipt_id" DESC);

-- Row-level security: a transaction sees the rows of `app.tenant`, or all with `*`. FORCE binds the owner too.
ALTER TABLE "ledger" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "ledger" FORCE ROW LEVEL SECURITY;
CREATE POLICY "tenant" ON "ledger" USING (
    "tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*'
);

ALTER TABLE "usage_buckets" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "usage_buckets" FORCE ROW LEVEL SECURITY;
CREATE POLICY "tenant" ON "usage_buckets" USING (
    "tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*'
);

ALTER TABLE "usage_hours" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "usage_hours" FORCE ROW LEVEL SECURITY;
CREATE POLICY "tenant" ON "usage_hours" USING (
    "tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*'
);
