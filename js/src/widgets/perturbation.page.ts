/** PerturbationWidget in an exported page: the same view over answers that the page carries. */

import { pageStore, startPage } from "../host/page";
import { openPerturbation } from "../host/perturbation_traits";
import { mountPerturbation, mountPerturbationError } from "../ui/perturbation/view";

startPage(
  (place, traits, abort) => mountPerturbation(place, openPerturbation(pageStore(traits), abort), abort),
  mountPerturbationError,
);
