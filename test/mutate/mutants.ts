import ts from 'typescript';

/** One small change to a source file: the text from `start` to `end` becomes `text`. */
export interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly before: string;
  readonly after: string;
}

/** Binary operators and what each becomes. */
const swapped: Partial<Record<ts.SyntaxKind, string>> = {
  [ts.SyntaxKind.LessThanToken]: '<=',
  [ts.SyntaxKind.LessThanEqualsToken]: '<',
  [ts.SyntaxKind.GreaterThanToken]: '>=',
  [ts.SyntaxKind.GreaterThanEqualsToken]: '>',
  [ts.SyntaxKind.EqualsEqualsEqualsToken]: '!==',
  [ts.SyntaxKind.ExclamationEqualsEqualsToken]: '===',
  [ts.SyntaxKind.PlusToken]: '-',
  [ts.SyntaxKind.MinusToken]: '+',
  [ts.SyntaxKind.AsteriskToken]: '/',
  [ts.SyntaxKind.SlashToken]: '*',
  [ts.SyntaxKind.PercentToken]: '*',
  [ts.SyntaxKind.AmpersandAmpersandToken]: '||',
  [ts.SyntaxKind.BarBarToken]: '&&',
};

/** Calls whose removal changes what a chain hands on. */
const droppable = new Set(['filter', 'reverse', 'sort', 'toSorted', 'slice']);

/** A replacement of an expression; undefined if it has none. */
function replacement(node: ts.Expression, source: ts.SourceFile): string | undefined {
  const text = (part: ts.Node): string => part.getText(source);
  if (ts.isBinaryExpression(node)) {
    const operator = swapped[node.operatorToken.kind];
    const joinsText = [node.left, node.right].some((side) => ts.isStringLiteralLike(side));
    return operator && !joinsText ? `${text(node.left)} ${operator} ${text(node.right)}` : undefined;
  }
  if (ts.isNumericLiteral(node)) return Number(node.text) === 0 ? '1' : `(${node.text} * 10)`;
  if (node.kind === ts.SyntaxKind.TrueKeyword) return 'false';
  if (node.kind === ts.SyntaxKind.FalseKeyword) return 'true';
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken)
    return text(node.operand);
  if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression))
    return droppable.has(node.expression.name.text) ? text(node.expression.expression) : undefined;
  return undefined;
}

/** Places in which a changed literal is a name, a type or a message, not a value. */
const isNoValue = (node: ts.Node): boolean =>
  ts.isTypeNode(node) ||
  ts.isImportDeclaration(node) ||
  ts.isExportDeclaration(node) ||
  ts.isThrowStatement(node) ||
  ts.isInterfaceDeclaration(node) ||
  ts.isTypeAliasDeclaration(node) ||
  (ts.isNewExpression(node) && /Error$/.test(node.expression.getText()));

/** A number as the name of a property cannot stand in brackets. */
const isName = (node: ts.Node): boolean =>
  (ts.isPropertyAssignment(node.parent) && node.parent.name === node) || ts.isEnumMember(node.parent);

/** Every mutant of a source file. */
export function mutantsOf(file: string, text: string): readonly Mutant[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true, ts.ScriptKind.TS);
  const mutants: Mutant[] = [];
  const visit = (node: ts.Node): void => {
    if (isNoValue(node)) return;
    const after = ts.isExpression(node) && !isName(node) ? replacement(node, source) : undefined;
    if (after !== undefined) {
      const start = node.getStart(source);
      const line = source.getLineAndCharacterOfPosition(start).line + 1;
      const before = text.slice(start, node.end);
      mutants.push({ file, line, start, end: node.end, before, after });
    }
    node.forEachChild(visit);
  };
  visit(source);
  return mutants;
}

/**
 * The file with all of these mutants in it, each behind a question: `ask(id)` says which one is
 * alive. Mutants that lie inside of another one are left out of the outer one's changed text, so
 * that exactly one change is alive at a time.
 */
export function withMutants(
  text: string,
  mutants: readonly (Mutant & { readonly id: number })[],
  ask: string,
): string {
  const within = (outer: { start: number; end: number }) =>
    mutants.filter(
      ({ start, end }) => start >= outer.start && end <= outer.end && end - start < outer.end - outer.start,
    );
  const outermost = (some: readonly (Mutant & { readonly id: number })[]) =>
    some.filter(
      (mutant) =>
        !some.some(
          (other) =>
            other !== mutant &&
            other.start <= mutant.start &&
            other.end >= mutant.end &&
            other.end - other.start > mutant.end - mutant.start,
        ),
    );
  const render = (from: number, to: number, some: readonly (Mutant & { readonly id: number })[]): string => {
    let out = '';
    let at = from;
    for (const mutant of [...outermost(some)].sort((a, b) => a.start - b.start)) {
      const inner = render(mutant.start, mutant.end, within(mutant));
      out += `${text.slice(at, mutant.start)}(${ask}(${mutant.id}) ? (${mutant.after}) : (${inner}))`;
      at = mutant.end;
    }
    return out + text.slice(at, to);
  };
  return render(0, text.length, mutants);
}
