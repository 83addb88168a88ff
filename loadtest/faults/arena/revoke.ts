// An operator who takes links back, one after the other, by the API.

const REQUEST_TIMEOUT_MS = 5_000;

/**
 * Takes the link in force of a visitor back, if it has one and the engine can be asked now.
 * @returns whether the log has it
 */
export async function revokeLinkOf(
  { url, secretKey }: { readonly url: string; readonly secretKey: string },
  visitor: string,
): Promise<boolean> {
  const ask = (route: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${url}${route}`, {
      ...init,
      headers: { authorization: `Bearer ${secretKey}`, 'content-type': 'application/json' },
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
  try {
    const found = await ask(`/v1/buyers/${encodeURIComponent(`a:${visitor}`)}`);
    if (!found.ok) return false;
    const { person } = (await found.json()) as { person: { link: string } | null };
    if (person === null) return false;
    const body = JSON.stringify({ author: 'faults', reason: 'a shared computer' });
    const revoked = await ask(`/v1/links/${encodeURIComponent(person.link)}/revoke`, {
      method: 'POST',
      body,
    });
    return revoked.ok;
  } catch {
    return false;
  }
}
