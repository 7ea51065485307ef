import { delay, effects, happens, hash } from "./effects.ts";

export async function findRestaurants(near: string): Promise<string[]> {
  await delay(near);
  return ["Anker", "Boje"];
}

export async function getWeather(day: string): Promise<string> {
  await delay(day);
  return `${day}: dry`;
}

export async function checkTable(restaurant: string, people: number): Promise<boolean> {
  await delay(restaurant);
  return restaurant === "Boje" && people < 6;
}

/**
 * Books, and gives the booking's reference. A request with a reference of the caller's is booked once
 * under it; each without one is another table.
 */
export async function bookTable(
  restaurant: string,
  people: number,
  time: string,
  options: { requestId?: string } = {},
): Promise<string> {
  await delay(time);
  const booked = `table for ${people} at ${restaurant}, ${time}`;
  const number = options.requestId ?? `${booked} ${effects().length}`;
  happens(booked, options.requestId);
  await delay(booked);
  return `B-${(hash(number) % 9000) + 1000}`;
}
