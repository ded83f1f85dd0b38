export {
  copyTemplate,
  makeTemplateDatabase,
  STATEFUL_SERVICES,
  testDatabase,
  testRoles,
  type StatefulService,
  type TestDatabase,
} from './databases.ts';
export { eventually, type EventuallyOptions } from './eventually.ts';
export { freshDatabase } from './fresh-database.ts';
export { hostilePackages, type HostileCall, type HostilePackage } from './hostile-packages.ts';
export { isAlive } from './is-alive.ts';
export { startKafka, type KafkaServer } from './kafka/kafka-server.ts';
export {
  branchNetwork,
  cumulativeSumNetwork,
  identityNetwork,
  linearNetwork,
  runningSumNetwork,
  squareNetwork,
  stepsNetwork,
} from './networks.ts';
export * from './onnx-model.ts';
export { aPrincipal, anOperator, type PrincipalOptions } from './principals.ts';
export { countingIds, TestClock } from './time.ts';
export { SIGNING_SERVICES, testSigningKeys, type SigningService, type TestSigningKeys } from './signing-keys.ts';
export { startTestService, type GraphAnswer, type TestRequest, type TestService, type TestServiceOptions } from './test-service.ts';
