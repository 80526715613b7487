/** What a message offers to do next. */
export type NextStep = 'showLog' | 'chooseCheckpoint' | 'manageTrust' | 'openSettings';

/** An error for the user, with what to do about it. */
export class UserError extends Error {
  constructor(
    message: string,
    readonly next: readonly NextStep[] = [],
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'UserError';
  }
}

/** The workspace is not trusted. */
export class Untrusted extends UserError {
  /** What a page goes by; see `ImagePanelApi`. */
  readonly kind = 'untrusted';
}

/** The user closed a quick pick, or pressed Cancel: nothing is to be said about it. */
export class Cancelled extends Error {
  readonly kind = 'cancelled';

  constructor() {
    super('cancelled');
    this.name = 'Cancelled';
  }
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
