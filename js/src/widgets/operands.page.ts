/** OperandWidget in an exported page: the same view over data that the page carries. */

import { openOperands } from "../host/operand_traits";
import { pageStore, readPageState } from "../host/page";
import { mountOperands, mountOperandsError } from "../ui/operands_view";

const { signal } = new AbortController();
const place = document.getElementById("ctw-view")!;
try {
  mountOperands(place, openOperands(pageStore(readPageState("ctw-state")), signal), signal);
} catch (error) {
  mountOperandsError(place, error instanceof Error ? error.message : String(error), signal);
}
