/**
 * What a panel's page and the extension host agree on beside the API. The host writes
 * `data-subject` on the page's body: JSON that says what the panel is about
 * (`{"image": …, "checkpoint": …}`). The page keeps it in its saved state, so that VS Code hands it
 * back to the panel's serializer after a reload.
 */
export interface SavedState {
  /** The host's own; the page never looks inside. */
  readonly subject: unknown;
  /** The page's own: tab, expanded rows, colour map … by name. */
  readonly view: Readonly<Record<string, unknown>>;
}
