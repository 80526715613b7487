/**
 * Characters that change what is around them instead of being shown: controls, and those that turn
 * the direction of text (Unicode 16, "Bidi_Control"). Tabs and line breaks are left.
 */
const unseen =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/**
 * Returns a text in which such characters stand as `\u202e`: what a file says must not move a
 * terminal's cursor, nor turn a name around. In JSON it means the same string.
 */
export const visible = (text: string): string =>
  text.replace(unseen, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * Returns a cell of a table that no spreadsheet takes for a formula, spaces in front of it or not
 * (OWASP, "CSV Injection"); a quotation mark keeps it a text.
 */
export const inertCell = (text: string): string => (/^[\s]*[=+\-@\t\r]/.test(text) ? `'${text}` : text);
