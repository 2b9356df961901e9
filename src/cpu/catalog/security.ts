// Which security features tell that a processor is immune, and which mitigate what it is not immune to.

/** Whether the feature claims immunity to a hardware vulnerability (rdcl-no, mds-no, ...). */
export const isImmunity = (name: string): boolean => /(^|-)no(-|$)/.test(name);
