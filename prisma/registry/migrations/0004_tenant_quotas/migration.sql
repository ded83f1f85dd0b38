-- CreateTable
CREATE TABLE "version_memory" (
    "version_id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "memory_bytes" BIGINT NOT NULL,
    "measured_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "version_memory_pkey" PRIMARY KEY ("version_id")
);

-- CreateTable
CREATE TABLE "tenant_quotas" (
    "tenant_id" TEXT NOT NULL,
    "artifact_bytes" BIGINT,
    "versions" INTEGER,
    "memory_bytes" BIGINT,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "tenant_quotas_pkey" PRIMARY KEY ("tenant_id")
);

-- AddForeignKey
ALTER TABLE "version_memory" ADD CONSTRAINT "version_memory_version_id_fkey" FOREIGN KEY ("version_id") REFERENCES "model_versions"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What Prisma cannot say.

ALTER TABLE "version_memory" ADD CONSTRAINT "version_memory_bytes_check" CHECK ("memory_bytes" >= 0);
ALTER TABLE "tenant_quotas" ADD CONSTRAINT "tenant_quotas_check" CHECK ("artifact_bytes" >= 0 AND "versions" >= 0 AND "memory_bytes" >= 0);

ALTER TABLE "version_memory" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "version_memory" FORCE ROW LEVEL SECURITY;
CREATE POLICY "of_tenant" ON "version_memory"
  USING ("tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*');

-- A tenant reads its quotas; the operator, whose work is across tenants, alone sets them.
ALTER TABLE "tenant_quotas" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "tenant_quotas" FORCE ROW LEVEL SECURITY;
CREATE POLICY "of_operator" ON "tenant_quotas" USING (current_setting('app.tenant', true) = '*');
CREATE POLICY "of_tenant" ON "tenant_quotas" FOR SELECT USING ("tenant_id" = nullif(current_setting('app.tenant', true), ''));
