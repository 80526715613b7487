/** Lines whose header does not tell what they count, by id, with the reason: same header, different truth. */
export const exceptions: Readonly<Record<string, string>> = {};
