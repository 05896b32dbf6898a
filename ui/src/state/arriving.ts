/* Whether images are still arriving: something came in the last minutes, or the count grows under our eyes. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { link, serverNow } from './link';
import { useStore } from './store';

export const ARRIVING_US = 2 * 60e6;

export function isArriving(latest: number | undefined, grewAt: number, now: number): boolean {
  return (latest !== undefined && now - latest < ARRIVING_US) || (grewAt > 0 && now - grewAt < ARRIVING_US);
}

export function useArriving(latest: number | undefined, count: number): boolean {
  useStore(link); /* drawn again as time passes */
  const before = useRef(count);
  const [grewAt, setGrewAt] = useState(0);
  useEffect(() => {
    if (count > before.current) setGrewAt(serverNow());
    before.current = count;
  }, [count]);
  return isArriving(latest, grewAt, serverNow());
}
