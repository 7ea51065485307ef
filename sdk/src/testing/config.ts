/** Says where the embedded Postgres is (TIDEBASE_HOME). */
export function environment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}
