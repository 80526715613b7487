/**
 * Names of a tap's outputs and of its query input. `attention.N` is the name that golden cases give
 * the map, and `attention.N.places` what says where its keys lie.
 */
export const tapNames = {
  map: (index: number): string => `attention.${index}`,
  places: (index: number): string => `attention.${index}.places`,
  rows: (index: number): string => `attention.${index}.rows`,
  mean: (index: number): string => `attention.${index}.mean`,
  query: (index: number): string => `attention.${index}.query`,
};
