using Actors.Storage;

namespace Actors.Programs;

/// <summary>What a command may set going, for as long as it has no outcome. Called on the run's thread.</summary>
internal interface IEffects
{
    /// <summary>Begins the body's next attempt.</summary>
    void Begin(BodyCommand command);

    /// <summary>Calls when the time has come by the database's clock.</summary>
    void At(DateTimeOffset due, Command command, Action action);

    /// <summary>Commits the row with what else is ready.</summary>
    /// <param name="notBefore">The database refuses it before this: the command is launched again.</param>
    void Record(JournalRow row, IReadOnlyList<OutgoingMessage>? messages = null, DateTimeOffset? notBefore = null);
}
