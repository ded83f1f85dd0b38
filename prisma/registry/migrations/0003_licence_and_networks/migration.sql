-- AlterTable
ALTER TABLE "model_versions" ADD COLUMN     "licence" TEXT,
ADD COLUMN     "networks" JSONB NOT NULL DEFAULT '[]';
