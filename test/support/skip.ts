/**
 * Skips the running test (from a `before` hook: the whole suite) with the reason that the test run
 * prints at its end.
 *
 *     before(function () {
 *       if (!softwareVulkan()) skip(this, 'no software Vulkan driver is installed');
 *     });
 */
export function skip(context: Mocha.Context, reason: string): never {
  const runnable = context.runnable() as Mocha.Hook | Mocha.Test;
  const skipped = (runnable.type === 'hook' ? runnable.parent : runnable) as Skipped | undefined;
  if (skipped) skipped.skipReason = reason;
  return context.skip();
}

/** Where `skip` leaves the reason: on the test, or on the suite whose hook skipped it. */
interface Skipped {
  skipReason?: string;
}

/** The reason given for a pending test, from itself or the suites around it. */
export function skipReason(test: Mocha.Test): string {
  let place: (Skipped & { parent?: Mocha.Suite }) | undefined = test;
  while (place && place.skipReason === undefined) place = place.parent;
  return place?.skipReason ?? 'no reason given';
}
