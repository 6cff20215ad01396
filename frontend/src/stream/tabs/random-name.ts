/** A name that nobody else has. (`crypto.randomUUID` is missing on plain HTTP from another machine.) */
export function randomName(): string {
  const parts = crypto.getRandomValues(new Uint32Array(3));
  return Array.from(parts, (part) => part.toString(36)).join('');
}
