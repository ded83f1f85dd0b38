-- CreateTable
CREATE TABLE "models" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "visibility" TEXT NOT NULL,
    "task" TEXT NOT NULL,
    "display_name" TEXT NOT NULL,
    "description" TEXT NOT NULL,
    "licence" TEXT,
    "tags" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "models_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "model_versions" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "model_id" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "digest" TEXT NOT NULL,
    "size_bytes" BIGINT NOT NULL,
    "task" TEXT NOT NULL,
    "labels" TEXT[],
    "metrics" JSONB NOT NULL,
    "examples" JSONB NOT NULL,
    "published_by" TEXT NOT NULL,
    "published_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "model_versions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "version_files" (
    "version_id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "size_bytes" BIGINT NOT NULL,

    CONSTRAINT "version_files_pkey" PRIMARY KEY ("version_id","path")
);

-- CreateTable
CREATE TABLE "artifacts" (
    "sha256" TEXT NOT NULL,
    "size_bytes" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "artifacts_pkey" PRIMARY KEY ("sha256")
);

-- CreateTable
CREATE TABLE "artifact_holders" (
    "tenant_id" TEXT NOT NULL,
    "sha256" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "artifact_holders_pkey" PRIMARY KEY ("tenant_id","sha256")
);

-- CreateTable
CREATE TABLE "model_aliases" (
    "tenant_id" TEXT NOT NULL,
    "model_id" TEXT NOT NULL,
    "alias" TEXT NOT NULL,
    "version_id" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "model_aliases_pkey" PRIMARY KEY ("model_id","alias")
);

-- CreateTable
CREATE TABLE "placements" (
    "worker_id" TEXT NOT NULL,
    "version_id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "artifacts_url" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "placements_pkey" PRIMARY KEY ("worker_id","version_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "models_name_key" ON "models"("name");

-- CreateIndex
CREATE INDEX "models_tenant_id_name_idx" ON "models"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "model_versions_model_id_published_at_id_idx" ON "model_versions"("model_id", "published_at" DESC, "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "model_versions_model_id_version_key" ON "model_versions"("model_id", "version");

-- CreateIndex
CREATE INDEX "version_files_sha256_idx" ON "version_files"("sha256");

-- CreateIndex
CREATE INDEX "model_aliases_version_id_idx" ON "model_aliases"("version_id");

-- AddForeignKey
ALTER TABLE "model_versions" ADD CONSTRAINT "model_versions_model_id_fkey" FOREIGN KEY ("model_id") REFERENCES "models"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "version_files" ADD CONSTRAINT "version_files_version_id_fkey" FOREIGN KEY ("version_id") REFERENCES "model_versions"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "version_files" ADD CONSTRAINT "version_files_sha256_fkey" FOREIGN KEY ("sha256") REFERENCES "artifacts"("sha256") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "artifact_holders" ADD CONSTRAINT "artifact_holders_sha256_fkey" FOREIGN KEY ("sha256") REFERENCES "artifacts"("sha256") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "model_aliases" ADD CONSTRAINT "model_aliases_model_id_fkey" FOREIGN KEY ("model_id") REFERENCES "models"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "model_aliases" ADD CONSTRAINT "model_aliases_version_id_fkey" FOREIGN KEY ("version_id") REFERENCES "model_versions"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What Prisma cannot say.

ALTER TABLE "models" ADD CONSTRAINT "models_visibility_check" CHECK ("visibility" IN ('public', 'private'));
ALTER TABLE "artifacts" ADD CONSTRAINT "artifacts_sha256_check" CHECK ("sha256" ~ '^[0-9a-f]{64}$');

-- A published version is what callers were promised: nothing changes it, not even a mistake in this service.
CREATE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a published version cannot be changed';
END
$$;
CREATE TRIGGER "immutable" BEFORE UPDATE ON "model_versions" FOR EACH ROW EXECUTE FUNCTION "refuse_change"();
CREATE TRIGGER "immutable" BEFORE UPDATE ON "version_files" FOR EACH ROW EXECUTE FUNCTION "refuse_change"();

-- A transaction sees the rows of the tenant that it was opened for; '*' is work across tenants (Database.transaction).
-- FORCE, because the service's role owns the tables. What is public is seen by every tenant, and changed by its owner alone.
ALTER TABLE "models" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "models" FORCE ROW LEVEL SECURITY;
CREATE POLICY "of_tenant" ON "models"
  USING ("tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*');
CREATE POLICY "public_to_all" ON "models" FOR SELECT
  USING ("visibility" = 'public' AND nullif(current_setting('app.tenant', true), '') IS NOT NULL);

ALTER TABLE "model_versions" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "model_versions" FORCE ROW LEVEL SECURITY;
CREATE POLICY "of_tenant" ON "model_versions"
  USING ("tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*');
-- The look into models is itself under its policies.
CREATE POLICY "public_to_all" ON "model_versions" FOR SELECT
  USING (EXISTS (SELECT FROM "models" WHERE "models"."id" = "model_id"));

ALTER TABLE "model_aliases" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "model_aliases" FORCE ROW LEVEL SECURITY;
CREATE POLICY "of_tenant" ON "model_aliases"
  USING ("tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*');
CREATE POLICY "public_to_all" ON "model_aliases" FOR SELECT
  USING (EXISTS (SELECT FROM "models" WHERE "models"."id" = "model_id"));

-- Which files a version is made of is its owner's business, also where the model is public.
ALTER TABLE "version_files" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "version_files" FORCE ROW LEVEL SECURITY;
CREATE POLICY "of_tenant" ON "version_files"
  USING ("tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*');

ALTER TABLE "artifact_holders" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "artifact_holders" FORCE ROW LEVEL SECURITY;
CREATE POLICY "of_tenant" ON "artifact_holders"
  USING ("tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*');

ALTER TABLE "placements" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "placements" FORCE ROW LEVEL SECURITY;
CREATE POLICY "of_tenant" ON "placements"
  USING ("tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*');
