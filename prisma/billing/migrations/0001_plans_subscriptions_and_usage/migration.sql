-- CreateTable
CREATE TABLE "plans" (
    "id" TEXT NOT NULL,
    "code" TEXT NOT NULL,
    "display_name" TEXT NOT NULL,
    "currency" TEXT NOT NULL,
    "models" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "plans_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "price_lists" (
    "id" TEXT NOT NULL,
    "plan_id" TEXT NOT NULL,
    "effective_from" TIMESTAMPTZ(3) NOT NULL,
    "rates" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "price_lists_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "subscriptions" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "plan_id" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "subscriptions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "usage_sums" (
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

    CONSTRAINT "usage_sums_pkey" PRIMARY KEY ("tenant_id","hour_start","model_id","model","meter","price_list_id","currency")
);

-- CreateIndex
CREATE UNIQUE INDEX "plans_code_key" ON "plans"("code");

-- CreateIndex
CREATE INDEX "price_lists_plan_id_effective_from_id_idx" ON "price_lists"("plan_id", "effective_from" DESC, "id" DESC);

-- CreateIndex
CREATE INDEX "subscriptions_tenant_id_started_at_idx" ON "subscriptions"("tenant_id", "started_at" DESC);

-- AddForeignKey
ALTER TABLE "price_lists" ADD CONSTRAINT "price_lists_plan_id_fkey" FOREIGN KEY ("plan_id") REFERENCES "plans"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "subscriptions" ADD CONSTRAINT "subscriptions_plan_id_fkey" FOREIGN KEY ("plan_id") REFERENCES "plans"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- One active subscription for each tenant.
CREATE UNIQUE INDEX "subscriptions_active_key" ON "subscriptions"("tenant_id") WHERE "ended_at" IS NULL;

-- What was sold at a price stays sold at that price.
CREATE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never changed: publish a new one', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER "price_lists_are_immutable" BEFORE UPDATE OR DELETE ON "price_lists" FOR EACH ROW EXECUTE FUNCTION "refuse_change"();
CREATE TRIGGER "price_lists_are_kept" BEFORE TRUNCATE ON "price_lists" FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();

-- Row-level security: a transaction sees the rows of `app.tenant`, or all with `*`. FORCE binds the owner too.
-- Plans and price lists are the operator's catalogue, the same for every tenant.
ALTER TABLE "subscriptions" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "subscriptions" FORCE ROW LEVEL SECURITY;
CREATE POLICY "tenant" ON "subscriptions" USING (
    "tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*'
);

ALTER TABLE "usage_sums" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "usage_sums" FORCE ROW LEVEL SECURITY;
CREATE POLICY "tenant" ON "usage_sums" USING (
    "tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*'
);
