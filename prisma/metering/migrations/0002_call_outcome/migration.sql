-- AlterTable
ALTER TABLE "ledger" ADD COLUMN     "outcome" TEXT NOT NULL DEFAULT 'answered';
