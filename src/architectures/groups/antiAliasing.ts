import { configuredArchitecture } from '../config';
import { assumed, stored } from '../evidence';
import type { Evidence, Found } from '../family';

/** timm alone has variants that blur where they stride: only a name sets them apart. */
export function blurSetting({ dialect, checkpoint }: Found): { readonly anti_aliasing?: Evidence<string> } {
  if (dialect.name !== 'timm') return {};
  const named = configuredArchitecture(checkpoint) !== undefined;
  return {
    anti_aliasing: named
      ? stored('none', 'config.json: architecture')
      : assumed('none', 'variants that blur where they stride have the same names and shapes'),
  };
}
