// What the pages ask about a model, in one module that is loaded with the first question.
export { inspect } from '../useCases/inspect';
export { findOperators, findUses, report, reportFile, scale } from '../useCases/report';
export { tensorValues } from '../useCases/values';
export { besideFiles } from '../useCases/beside';
