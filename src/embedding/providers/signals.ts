/**
 * Runs work with a controller whose signal also follows the sources, until the work is done. AbortSignal.any would do, but
 * what it hangs onto a source that lives as long as the process stays there (nodejs/node#54614).
 */
export async function following<T>(
  sources: readonly AbortSignal[],
  work: (controller: AbortController) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const follow = (): void => {
    controller.abort(sources.find(source => source.aborted)?.reason);
  };
  for (const source of sources) source.addEventListener('abort', follow);
  if (sources.some(source => source.aborted)) follow();
  try {
    return await work(controller);
  } finally {
    for (const source of sources) source.removeEventListener('abort', follow);
  }
}
