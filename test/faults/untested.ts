// Rows of the matrix that no test here can show, each with the reason. A row that has a test must not stand here.

export const UNTESTED: Readonly<Record<string, string>> = {};
