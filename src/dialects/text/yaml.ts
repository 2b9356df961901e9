// The YAML parser, loaded on demand: a bundler keeps the names of a CommonJS package through a static import alone.

export type { Document as YamlDocument } from 'yaml';
export { Composer, isScalar, LineCounter, Parser, visit } from 'yaml';
