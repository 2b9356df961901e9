// YAML as it is written by hand: a text stands bare where no reader can take it for anything else.

const WORDS = /^(?:true|false|null|yes|no|on|off|y|n)$/i;

export const yamlText = (text: string): string =>
  /^[A-Za-z][\w.-]*$/.test(text) && !WORDS.test(text) ? text : JSON.stringify(text);
