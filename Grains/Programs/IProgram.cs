using System.Diagnostics.CodeAnalysis;
using Actors.Storage;
using Actors.Wire;

namespace Actors.Programs;

/// <summary>
/// User code as the engine sees it: rows of the journal go in, commands come out. Called from one thread at a time. A workflow is one
/// whose past is replayed (<see cref="WorkflowProgram"/>).
/// </summary>
internal interface IProgram
{
    /// <summary>It does nothing more by itself, and its end can be committed.</summary>
    bool HasEnded { get; }

    /// <summary>Why the run cannot go on, or null.</summary>
    WorkflowCodeException? Violation { get; }

    /// <summary>What it asked for and has no outcome of yet, by number.</summary>
    IReadOnlyDictionary<int, Command> Outstanding { get; }

    /// <summary>What it waits for, in the order of kinds and of asking.</summary>
    IEnumerable<WaitRow> Waiting { get; }

    /// <summary>Where the code stands, for messages about it.</summary>
    string After { get; }

    /// <summary>Takes the rows of the past, which what it asks for must match. Call before the first <see cref="Apply"/>.</summary>
    void Expect(IEnumerable<JournalRow> history);

    /// <summary>The past is over: from here on rows are those of commits just made.</summary>
    void GoLive();

    /// <summary>Tells the code of one row, in the order of positions, and runs it until it rests.</summary>
    void Apply(JournalRow row);

    /// <summary>The commands that nobody took yet, in the order of giving.</summary>
    bool TryTakeCommand([MaybeNullWhen(false)] out Command command);

    /// <summary>Commands with timers whose outcomes came otherwise since the last call.</summary>
    IReadOnlyList<int> TakeGivenUp();

    /// <summary>What it made of messages, which replay must make of them too, since the last call.</summary>
    bool TryTakeNote([MaybeNullWhen(false)] out MessageNote note);

    /// <summary>The row of its end. What cannot be written is its failure.</summary>
    JournalRow EndRow();

    /// <summary>Whether a letter of this name is for a method; else it is for a topic.</summary>
    bool HasSignal(string name);

    /// <summary>Reads a signal's arguments without delivering it.</summary>
    /// <exception cref="UnknownMethodException">The contract has no such signal.</exception>
    /// <exception cref="PayloadException">The arguments do not fit.</exception>
    void CheckSignal(SignalCall signal);

    /// <summary>The value of a query on the object as it rests.</summary>
    /// <exception cref="UnknownMethodException">The contract has no such query.</exception>
    Payload Query(string name, Payload arguments);

    /// <summary>The run cannot go on.</summary>
    void Violate(string message);
}

/// <summary>What a program made of a message that got its position before it saw it.</summary>
/// <param name="Row">Says so in the journal.</param>
/// <param name="Message">The message.</param>
/// <param name="Refusal">Why it was skipped: it comes back to the inbox. Null: it was taken, and the row says as what.</param>
internal sealed record MessageNote(JournalRow Row, JournalRow Message, string? Refusal);
