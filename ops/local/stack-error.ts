// The closed list of what can go wrong when the local parts are started, each with one clear message.

export type StackErrorCode =
  | 'PORT_TAKEN'
  | 'TOOL_MISSING'
  | 'CHILD_CRASHED'
  | 'CHILD_NOT_READY'
  | 'FOLDER_IN_USE'
  | 'FOLDER_UNFIT'
  | 'JARS_FAILED';

/** An expected failure of the local stack; `message` is fit to be shown to the user as it is. */
export class StackError extends Error {
  readonly code: StackErrorCode;
  constructor(code: StackErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'StackError';
    this.code = code;
  }
}
