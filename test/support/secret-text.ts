/** A JWT or a Vault token in a text. Longer than "eyJ", which the random name of a directory may hold too. */
export const SECRET_TEXT = /eyJ[\w-]{8,}|hv[sbr]\./;
