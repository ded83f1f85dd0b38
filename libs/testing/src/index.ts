export { copyTemplate, makeTemplateDatabase, STATEFUL_SERVICES, testDatabase, testRoles, type StatefulService, type TestDatabase } from './databases.ts';
export { eventually, type EventuallyOptions } from './eventually.ts';
export { freshDatabase } from './fresh-database.ts';
export { aPrincipal, anOperator, type PrincipalOptions } from './principals.ts';
export { countingIds, TestClock } from './time.ts';
