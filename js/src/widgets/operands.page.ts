/** OperandWidget in an exported page: the same view over data that the page carries. */

import { openOperands } from "../host/operand_traits";
import { pageStore, startPage } from "../host/page";
import { mountOperands, mountOperandsError } from "../ui/operands/view";

startPage(
  (place, traits, abort) => mountOperands(place, openOperands(pageStore(traits), abort), abort),
  mountOperandsError,
);
