import { registerEnumType } from '@nestjs/graphql';
import { DATATYPES } from '@weir/open-inference';

/** The datatypes of the protocol as an enum of the graph. */
export const Datatype = Object.fromEntries(DATATYPES.map((datatype) => [datatype, datatype]));
registerEnumType(Datatype, { name: 'Datatype', description: 'Element type of a tensor, in the terms of the Open Inference Protocol v2.' });
