-- AlterTable
ALTER TABLE "model_versions" ADD COLUMN     "accelerator" TEXT,
ADD COLUMN     "backend" TEXT NOT NULL DEFAULT 'onnxruntime',
ADD COLUMN     "memory_bytes" BIGINT;

-- CreateTable
CREATE TABLE "version_servers" (
    "version_id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "url" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "version" TEXT,
    "secret_name" TEXT,

    CONSTRAINT "version_servers_pkey" PRIMARY KEY ("version_id")
);

-- AddForeignKey
ALTER TABLE "version_servers" ADD CONSTRAINT "version_servers_version_id_fkey" FOREIGN KEY ("version_id") REFERENCES "model_versions"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What Prisma cannot say.

ALTER TABLE "model_versions" ADD CONSTRAINT "model_versions_backend_check" CHECK ("backend" IN ('onnxruntime', 'open-inference', 'openai'));

CREATE TRIGGER "immutable" BEFORE UPDATE ON "version_servers" FOR EACH ROW EXECUTE FUNCTION "refuse_change"();

-- On which server a version runs is its owner's business, also where the model is public.
ALTER TABLE "version_servers" ENABLE ROW LEVEL SECURITY;
ALTER TABLE "version_servers" FORCE ROW LEVEL SECURITY;
CREATE POLICY "of_tenant" ON "version_servers"
  USING ("tenant_id" = nullif(current_setting('app.tenant', true), '') OR current_setting('app.tenant', true) = '*');
