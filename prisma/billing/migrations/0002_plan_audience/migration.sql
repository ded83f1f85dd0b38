-- Plans that exist were for every tenant; a new plan names its audience.
ALTER TABLE "plans" ADD COLUMN     "audience" TEXT[] NOT NULL DEFAULT '{}',
ADD COLUMN     "is_public" BOOLEAN NOT NULL DEFAULT true;
ALTER TABLE "plans" ALTER COLUMN "audience" DROP DEFAULT,
ALTER COLUMN "is_public" DROP DEFAULT;

-- What Prisma cannot say.

-- A plan that is not public and names no tenant would be nobody's; a public one that names tenants would be both.
ALTER TABLE "plans" ADD CONSTRAINT "plans_audience_check" CHECK ("is_public" = (cardinality("audience") = 0));

-- The catalogue is the platform's ('platform' is the operator's tenant). A tenant sees the public plans, those that are for it, and
-- those that it subscribes or subscribed to, whatever their audience is now: its invoices are priced by them.
ALTER TABLE "plans" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "plans" FORCE ROW LEVEL SECURITY;
CREATE POLICY "of_platform" ON "plans" USING (current_setting('app.tenant', true) IN ('*', 'platform'));
CREATE POLICY "audience" ON "plans" FOR SELECT USING (
    nullif(current_setting('app.tenant', true), '') IS NOT NULL
    AND ("is_public" OR current_setting('app.tenant', true) = ANY ("audience")
        OR EXISTS (SELECT FROM "subscriptions" WHERE "subscriptions"."plan_id" = "plans"."id"))
);

ALTER TABLE "price_lists" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "price_lists" FORCE ROW LEVEL SECURITY;
CREATE POLICY "of_platform" ON "price_lists" USING (current_setting('app.tenant', true) IN ('*', 'platform'));
-- The look into plans is itself under its policies.
CREATE POLICY "audience" ON "price_lists" FOR SELECT USING (EXISTS (SELECT FROM "plans" WHERE "plans"."id" = "plan_id"));
