/** PerturbationWidget in an exported page: the same view over answers that the page carries. */

import { pageStore, readPageState } from "../host/page";
import { openSession } from "../ui/perturbation_traits";
import { mountPerturbation, mountPerturbationError } from "../ui/perturbation_view";

const { signal } = new AbortController();
const place = document.getElementById("ctw-view")!;
try {
  mountPerturbation(place, openSession(pageStore(readPageState("ctw-state")), signal), signal);
} catch (error) {
  mountPerturbationError(place, error instanceof Error ? error.message : String(error), signal);
}
