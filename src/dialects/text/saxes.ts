// The XML parser, loaded on demand: a bundler keeps the names of a CommonJS package through a static import alone.
export { SaxesParser } from 'saxes';
