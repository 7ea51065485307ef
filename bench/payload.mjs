/** 1 KB of JSON: what every step returns, and what the floors insert. */
export const OUTPUT = { text: "x".repeat(1010) };
