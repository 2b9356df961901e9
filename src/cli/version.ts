// The version of the package; a test holds it against package.json, which the browser cannot read.
export const VERSION = '0.1.0';
