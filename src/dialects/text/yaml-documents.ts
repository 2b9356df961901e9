// YAML from strangers, read in time that grows with its length.
import { QueryError } from '../../cpu/errors.ts';
import { orSkip, type Skip } from '../dialect.ts';
import type { Document } from './json.ts';
import { quote } from './lines.ts';
import type { YamlDocument as Composed } from './yaml.ts';

type Yaml = typeof import('./yaml.ts');
type Library = Omit<Yaml, 'LineCounter'>;
type Lines = InstanceType<Yaml['LineCounter']>;

interface Fault {
  readonly at: number | undefined;
  readonly what: string;
}

/** Of one document: the library looks through all anchors for each. */
const MAX_ALIASES = 1000;
/** How often one anchor may stand in the place of others. */
const MAX_REPEATS = 100;

/**
 * All documents of a text; with `skip` those that can be read.
 * @throws QueryError with the line of the first that is no YAML, or of what no document of an API has.
 */
export async function readYaml(
  name: string,
  text: string,
  skip: Skip | undefined,
): Promise<Document[]> {
  const { Composer, isScalar, LineCounter, Parser, visit } = await import('./yaml.ts');
  const library = { Composer, isScalar, Parser, visit };
  const lines = new LineCounter();
  const lineOf = (offset = 0) => lines.linePos(offset).line || 1;
  const found: Document[] = [];
  for (const document of documentsIn(library, name, text, lines))
    found.push(...orSkip(skip, () => contentOf(library, name, document, lineOf)).flat());
  return found;
}

/** What a document holds, if anything. */
function contentOf(
  library: Library,
  name: string,
  document: Composed,
  lineOf: (offset: number | undefined) => number,
): Document[] {
  const [error] = document.errors;
  if (error)
    throw new QueryError(`${name}:${lineOf(error.pos[0])}: this is no YAML: ${firstLine(error)}`);
  const line = lineOf(document.contents?.range?.[0]);
  const fault = faultIn(library, document);
  if (fault) throw new QueryError(`${name}:${lineOf(fault.at)}: ${fault.what}`);
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_REPEATS });
    return value === null ? [] : [{ value, line }];
  } catch (error) {
    throw new QueryError(`${name}:${line}: this YAML is not taken: ${firstLine(error)}`);
  }
}

/** One document after another, so that the first mistake ends it. */
function* documentsIn(
  { Composer, Parser }: Library,
  name: string,
  text: string,
  lines: Lines,
): Generator<Composed> {
  // Of each key the library looks through all before it.
  const composer = new Composer({ uniqueKeys: false, prettyErrors: false });
  try {
    for (const token of new Parser(lines.addNewLine).parse(text)) yield* composer.next(token);
    yield* composer.end();
  } catch (error) {
    throw new QueryError(`${name}: this is no YAML that can be read: ${firstLine(error)}`);
  }
}

/** A key that stands twice in one map, or too many aliases. */
function faultIn({ isScalar, visit }: Library, document: Composed): Fault | null {
  let fault: Fault | null = null;
  let aliases = 0;
  visit(document, {
    Map(_, { items }) {
      const keys = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (keys.has(key.value)) {
          const name = quote(String(key.value));
          const what = `the key ${name} is there twice in one object; which of the two holds?`;
          fault = { at: key.range?.[0], what };
          return visit.BREAK;
        }
        keys.add(key.value);
      }
      return undefined;
    },
    Alias(_, { range }) {
      if (++aliases <= MAX_ALIASES) return undefined;
      const what = `this YAML is not taken: one document has more than ${MAX_ALIASES} aliases`;
      fault = { at: range?.[0], what };
      return visit.BREAK;
    },
  });
  return fault;
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0]!.toLowerCase();
