/* Where we are, in the address after #, so that Back works. Keys and UIDs only: no name, no identifier. */
import { createStore } from './store';

export type Route =
  | { view: 'find' }
  | { view: 'attention' }
  | { view: 'patient'; patient: string }
  | { view: 'viewer'; patient: string; study: string; series: string };

export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#\/?/, '').split('/').map(decoded);
  const [head, patient, study, series] = parts;
  if (head === 'attention') return { view: 'attention' };
  if (head === 'p' && patient && study && series) return { view: 'viewer', patient, study, series };
  if (head === 'p' && patient) return { view: 'patient', patient };
  return { view: 'find' };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

export function hashOf(route: Route): string {
  const part = encodeURIComponent;
  switch (route.view) {
    case 'find':
      return '#/';
    case 'attention':
      return '#/attention';
    case 'patient':
      return `#/p/${part(route.patient)}`;
    case 'viewer':
      return `#/p/${part(route.patient)}/${part(route.study)}/${part(route.series)}`;
  }
}

export const route = createStore<{ route: Route }>({ route: parseRoute(location.hash) });

addEventListener('hashchange', () => route.set({ route: parseRoute(location.hash) }));

export function go(to: Route, replace = false): void {
  if (replace) {
    history.replaceState(null, '', hashOf(to));
    route.set({ route: to });
  } else {
    location.hash = hashOf(to);
  }
}
